// Who gets what: for every route, the answer to its example from each sort of caller. A route without a row does not compile.
import type { ROUTES } from '../../wire/routes.ts'

type Capability = keyof typeof ROUTES
export type RouteName = {
  [C in Capability]: `${C}.${keyof (typeof ROUTES)[C] & string}`
}[Capability]

/** A status, or those of which any may come. */
export type Answer = number | readonly number[]

/**
 * `none`: no credentials. `wrong`: a device with another's password. `own`: the account's primary device. `linked`: its
 * second device. `other`: somebody else's device, naming this account's things. `key`: nobody, with the access key of who
 * is asked about. `badKey`: nobody, with a key that is not theirs.
 */
export const CALLERS = ['none', 'wrong', 'own', 'linked', 'other', 'key', 'badKey'] as const
export type Caller = (typeof CALLERS)[number]
export type Row = Readonly<Record<Caller, Answer>>

/** A route of devices: strangers are 401, whatever key they hold. */
const device = (own: Answer, exceptions: Partial<Row> = {}): Row => ({
  none: 401,
  wrong: 401,
  own,
  linked: own,
  other: own,
  key: 401,
  badKey: 401,
  ...exceptions,
})

/** A route that forbids credentials. */
const anonymous = (stranger: Answer, exceptions: Partial<Row> = {}): Row => ({
  none: stranger,
  wrong: 400,
  own: 400,
  linked: 400,
  other: 400,
  key: stranger,
  badKey: stranger,
  ...exceptions,
})

/** A route that does not look at credentials. */
const open = (anybody: Answer): Row => ({
  none: anybody,
  wrong: anybody,
  own: anybody,
  linked: anybody,
  other: anybody,
  key: anybody,
  badKey: anybody,
})

export const AUTHORISATION: Readonly<Record<RouteName, Row>> = {
  'accounts.whoami': device(200),
  'accounts.setAttributes': device(204),
  'accounts.exists': anonymous(200),
  'configuration.get': device(200),
  'devices.list': device(200),
  'devices.setCapabilities': device(204),
  // Inside sockets only.
  'keepalive.keepalive': open(404),
  'keys.count': device(200),
  'keys.store': device(200, { linked: 200, other: 422 }),
  'keys.check': device(409),
  'keys.take': device(200, { key: 200 }),
  'messages.send': device(200, { key: 200 }),
  // The credentials are the number and the new password: they are a parameter, and the session is what proves.
  'registration.register': open(401),
  'verification.create': open(200),
  'verification.get': open(200),
  'verification.update': open(200),
  'verification.requestCode': open(200),
  'verification.submitCode': open(409),
}

/** Who may call an RPC; the device that may not is refused with PERMISSION_DENIED. */
export type RpcCallers = 'any device' | 'the primary device' | 'nobody known'

export const RPC_AUTHORISATION: Readonly<Record<string, Readonly<Record<string, RpcCallers>>>> = {
  'org.signal.chat.keys.Keys': {
    GetPreKeyCount: 'any device',
    GetPreKeys: 'any device',
    SetOneTimeEcPreKeys: 'any device',
    SetOneTimeKemSignedPreKeys: 'any device',
    SetEcSignedPreKey: 'any device',
    SetKemLastResortPreKey: 'any device',
  },
  'org.signal.chat.keys.KeysAnonymous': { GetPreKeys: 'nobody known' },
  'org.signal.chat.messages.Messages': { SendMessage: 'any device', SendSyncMessage: 'any device' },
  'org.signal.chat.messages.MessagesAnonymous': {
    SendSingleRecipientMessage: 'nobody known',
    SendStory: 'nobody known',
  },
}
