/** Where clients find the file store, by CDN number, without a slash at the end. */
export type FileUrls = { readonly cdn0: string; readonly cdn2: string; readonly cdn3: string }

type Given = { readonly [Cdn in keyof FileUrls]?: string | undefined }

/** What is not given is served by this server, whose own address is known when its port is bound. */
export const fileUrls =
  (given: Given, ownUrl: () => string): (() => FileUrls) =>
  () => ({
    cdn0: given.cdn0 ?? `${ownUrl()}/cdn0`,
    cdn2: given.cdn2 ?? `${ownUrl()}/cdn2`,
    cdn3: given.cdn3 ?? `${ownUrl()}/cdn3`,
  })
