// Forms as the chat server gives them out, signed by the secrets of a data folder: for servers that are killed too often to be asked.
import { join } from 'node:path'
import { UploadForms } from '../../server/chat/attachments/upload-forms.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import type { Form } from '../client/tus.ts'
import type { ServerProcess } from '../server-process.ts'

export async function ownForms(server: ServerProcess): Promise<(maxBytes: number) => Form> {
  const { uploads } = await openSecrets(join(server.data, 'secrets'))
  const forms = new UploadForms({
    signatures: new UploadSignatures(uploads, systemClock),
    urls: () => server.ready.urls,
    random: systemRandom,
  })
  return (maxBytes) => {
    const { key, headers, signedUploadLocation } = forms.attachment(maxBytes, 3)
    return { key, headers, location: signedUploadLocation }
  }
}
