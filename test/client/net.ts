// libsignal's network stack, pointed at a server of ours.
import { readFileSync } from 'node:fs'
import * as LS from '@signalapp/libsignal-client'
import type { Ready } from '../../server/up.ts'
import { releaseBeforeExit } from './release.ts'

export type HttpVersion = 1 | 2
export const HTTP_VERSIONS: readonly HttpVersion[] = [1, 2]

/**
 * A new network stack. After a failed connect it waits before the next attempt, longer each time:
 * a test that expects refusals takes a new one for each.
 */
export function openNet(
  { urls, tls }: Ready,
  httpVersion: HttpVersion,
  userAgent = 'heliograph-test/1.0',
): LS.Net.Net {
  releaseBeforeExit()
  return new LS.Net.Net({
    localTestServer: true,
    userAgent,
    TESTING_localServer_chatPort: Number(new URL(urls.chat).port),
    // The constructor wants these; nothing listens there.
    TESTING_localServer_cdsiPort: 1,
    TESTING_localServer_svr2Port: 1,
    TESTING_localServer_svrBPort: 1,
    TESTING_localServer_rootCertificateDer: new Uint8Array(readFileSync(tls.caDer)),
    TESTING_localServer_httpVersion: httpVersion,
  })
}

// The library adds its typed calls to the connections by module augmentation, which Node's module resolution misses.
export type AuthChat = LS.Net.AuthenticatedChatConnection &
  LS.Net.AuthAccountsService &
  LS.Net.AuthBackupsService &
  LS.Net.AuthDevicesService &
  LS.Net.AuthKeysService &
  LS.Net.AuthMessagesService &
  LS.Net.AuthStickersService &
  LS.Net.AuthUsernamesService
export type UnauthChat = LS.Net.UnauthenticatedChatConnection &
  LS.Net.UnauthBackupsService &
  LS.Net.UnauthCallQualityService &
  LS.Net.UnauthCredentialsService &
  LS.Net.UnauthKeysService &
  LS.Net.UnauthMessagesService &
  LS.Net.UnauthProfilesService &
  LS.Net.UnauthUsernamesService
