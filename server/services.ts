// The roles of a process, each over the same ground. What one needs of another is handed over here.
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import type { Bound } from '../wire/route.ts'
import { openCaptcha } from './captcha/captcha.ts'
import { captchaEvents } from './captcha/events.ts'
import { RemoteVerifier } from './captcha/remote-verifier.ts'
import { captchaSettings } from './captcha/settings.ts'
import { GatewayPush, OutboxPush } from './chat/challenges/push.ts'
import { type Chat, openChat } from './chat/chat.ts'
import { chatEvents } from './chat/events.ts'
import { openSenders } from './chat/verification/senders/open.ts'
import { fileEvents } from './files/events.ts'
import { type Files, openFiles } from './files/files.ts'
import type { Ground } from './ground.ts'
import type { Closing } from './kit/closing.ts'
import type { Role } from './kit/config.ts'
import { filesFolder } from './kit/edge-files.ts'
import type { FileUrls } from './kit/file-urls.ts'
import type { PushGateway } from './kit/push-gateway.ts'
import { pushEvents } from './push/events.ts'
import { openPush } from './push/push.ts'
import { RemoteGateway } from './push/remote-gateway.ts'
import { storageEvents } from './storage/events.ts'
import { openStorage } from './storage/storage.ts'

/** Addresses of this server, asked when its port is bound. */
export type Addresses = {
  readonly own: () => string
  readonly public: () => string
  readonly cdns: () => FileUrls
}

export type Services = {
  readonly chat: Chat
  readonly files: Files | undefined
  /** Who wakes devices, here or in another process. */
  readonly push: PushGateway | undefined
  readonly rest: readonly Bound[]
}

/** What a process without the chat server has in its place: nobody is known there, and no socket opens. */
const NO_CHAT: Chat = {
  rest: [],
  grpc: [],
  admit: async () => undefined,
  authenticate: async () => undefined,
  authenticateOn: async () => undefined,
  release: () => {},
  refusesClient: undefined,
  control: [],
  close: async () => {},
}

/** Its own secrets and certificates, as far as another process of ours may have to be believed. */
const believed = ({ certificates }: Ground): string =>
  [...rootCertificates, readFileSync(certificates.caPemFile, 'utf8')].join('\n')

/** Opens the roles that the process has. */
export async function openServices(
  ground: Ground,
  addresses: Addresses,
  closing: Closing,
): Promise<Services> {
  const { config, counters, log } = ground
  const has = (role: Role) => config.roles.includes(role)
  const files = has('files')
    ? closing.add(
        await openFiles({
          ...{ ...ground, ...config.files, folder: filesFolder(config) },
          ...{ urls: addresses.cdns, events: fileEvents(counters, log) },
        }),
      )
    : undefined
  // Its tables are there without its role: what an account has in them goes with the account.
  const storage = closing.add(
    await openStorage({ ...ground, objects: files?.avatars, events: storageEvents(counters) }),
  )
  const settings = captchaSettings(config, ground.secrets.captchaSecret)
  const captcha = has('captcha')
    ? closing.add(await openCaptcha({ ...ground, settings, events: captchaEvents(counters) }))
    : undefined
  const push = has('push')
    ? closing.add(await openPush({ ...ground, events: pushEvents(counters, log) }))
    : undefined
  const gateway = gatewayOf(ground, push?.gateway)
  const chat = has('chat')
    ? closing.add(
        await openChat({
          ...ground,
          ...{ ownUrl: addresses.own, publicUrl: addresses.public },
          fingerprint: ground.certificates.fingerprint,
          events: chatEvents(counters, log),
          senders: await openSenders(config, ground),
          elsewhere: [storage.belongings],
          captcha: settings.remote ? remoteVerifier(ground, settings.remote) : captcha?.verifier,
          push: gateway,
          webPushKey:
            gateway && config.push.web.enabled === 'on' ? ground.secrets.vapid.publicKey : undefined,
          challengePush: challengePushOf(ground, gateway),
          ...(files && { avatars: files.avatars, backupObjects: files.backupObjects }),
        }),
      )
    : NO_CHAT
  const ofStorage = has('storage') ? storage.rest : []
  return {
    chat,
    files,
    push: gateway,
    rest: [...chat.rest, ...ofStorage, ...(captcha?.rest ?? []), ...(push?.rest ?? [])],
  }
}

type Remote = NonNullable<ReturnType<typeof captchaSettings>['remote']>

const remoteVerifier = (ground: Ground, remote: Remote) =>
  new RemoteVerifier({ ...remote, ca: remote.provider === 'own' ? believed(ground) : undefined })

function gatewayOf(ground: Ground, own: PushGateway | undefined): PushGateway | undefined {
  const { config, secrets, clock } = ground
  const { url } = config.push
  const secret = secrets.pushSecret.toString('base64url')
  return url === undefined ? own : new RemoteGateway({ url, secret, clock, ca: believed(ground) })
}

/** The outbox stands in for push where it stands in for everything else. */
function challengePushOf({ config, outbox, clock }: Ground, gateway: PushGateway | undefined) {
  const isConsole = config.registration.senders.every((sender) => sender === 'console')
  const outboxPush = isConsole ? new OutboxPush(outbox, clock) : undefined
  return gateway ? new GatewayPush(gateway, outboxPush) : outboxPush
}
