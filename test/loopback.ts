// Servers of tests, on a free port of this host.
import type { AddressInfo, Server } from 'node:net'

type Listening = { readonly url: string; readonly port: number; close(): Promise<void> }

/** Listens, and is closed together with its connections. */
export async function listenOnLoopback(
  server: Server & { closeAllConnections?(): void },
): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((closed) => {
      server.close(() => closed())
      server.closeAllConnections?.()
    })
  return { url: `http://127.0.0.1:${port}`, port, close }
}
