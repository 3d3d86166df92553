import type { CodeRequest } from './sender.ts'
import { ownLanguage, textFor } from './wording.ts'

type Names = { readonly serviceName: string; readonly androidAppHash?: string | undefined }

/** The text of a message; Google's SMS Retriever hands it to the app whose hash is its last line. */
export function smsText({ languages, client, code }: CodeRequest, names: Names): string {
  const text = textFor(ownLanguage(languages), names.serviceName, code)
  return client === 'android' && names.androidAppHash !== undefined
    ? `${text}\n\n${names.androidAppHash}`
    : text
}
