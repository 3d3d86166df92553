// Names of objects. Only what has one of these forms ever becomes a path: no dots, no empty parts, nothing to decode.

const NAME = '[A-Za-z0-9_-]{1,64}'
const FORMS = [
  `attachments/${NAME}`,
  `profiles/${NAME}`,
  `stickers/[0-9a-f]{32}/(?:manifest\\.proto|full/\\d{1,3})`,
  `groups/${NAME}/${NAME}`,
  `backups/${NAME}/${NAME}(?:/${NAME})?`,
]
const KEY = new RegExp(`^(?:${FORMS.join('|')})$`)
const FOLDER = new RegExp(`^backups/${NAME}(?:/${NAME})?$`)

export const isObjectKey = (key: string): boolean => KEY.test(key)

/** A folder that can be listed or deleted as a whole. */
export const isObjectFolder = (folder: string): boolean => FOLDER.test(folder)

/** Relative to the store's root: a shard by the first characters of the first name keeps folders short. */
export function objectPath(key: string): string {
  const [kind = '', name = '', ...rest] = key.split('/')
  return [kind, name.slice(0, 2), name, ...rest].join('/')
}
