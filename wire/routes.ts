// The route table: every capability's REST contract.
import { accountsRoutes } from './rest/accounts.ts'
import { attachmentsRoutes } from './rest/attachments.ts'
import { backupsRoutes } from './rest/backups.ts'
import { callingRoutes } from './rest/calling.ts'
import { captchaRoutes } from './rest/captcha.ts'
import { challengesRoutes } from './rest/challenges.ts'
import { changeNumberRoutes } from './rest/change-number.ts'
import { configurationRoutes } from './rest/configuration.ts'
import { credentialsRoutes } from './rest/credentials.ts'
import { devicesRoutes } from './rest/devices.ts'
import { discoveryRoutes } from './rest/discovery.ts'
import { groupsRoutes } from './rest/groups.ts'
import { invitesRoutes } from './rest/invites.ts'
import { keepaliveRoutes } from './rest/keepalive.ts'
import { keysRoutes } from './rest/keys.ts'
import { linkingRoutes } from './rest/linking.ts'
import { messagesRoutes } from './rest/messages.ts'
import { profilesRoutes } from './rest/profiles.ts'
import { provisioningRoutes } from './rest/provisioning.ts'
import { pushRoutes } from './rest/push.ts'
import { registrationRoutes } from './rest/registration.ts'
import { registrationLockRoutes } from './rest/registration-lock.ts'
import { reportsRoutes } from './rest/reports.ts'
import { storageRecordsRoutes } from './rest/storage-records.ts'
import { usernamesRoutes } from './rest/usernames.ts'
import { verificationRoutes } from './rest/verification.ts'
import type { Auth, Route, Routes } from './route.ts'

/** By capability, in the order of their names. */
export const ROUTES = {
  accounts: accountsRoutes,
  attachments: attachmentsRoutes,
  backups: backupsRoutes,
  calling: callingRoutes,
  captcha: captchaRoutes,
  challenges: challengesRoutes,
  changeNumber: changeNumberRoutes,
  configuration: configurationRoutes,
  credentials: credentialsRoutes,
  devices: devicesRoutes,
  discovery: discoveryRoutes,
  groups: groupsRoutes,
  invites: invitesRoutes,
  keepalive: keepaliveRoutes,
  keys: keysRoutes,
  linking: linkingRoutes,
  messages: messagesRoutes,
  profiles: profilesRoutes,
  provisioning: provisioningRoutes,
  push: pushRoutes,
  registration: registrationRoutes,
  registrationLock: registrationLockRoutes,
  reports: reportsRoutes,
  storageRecords: storageRecordsRoutes,
  usernames: usernamesRoutes,
  verification: verificationRoutes,
} as const satisfies Readonly<Record<string, Routes>>

export type NamedRoute = { readonly capability: string; readonly name: string; readonly route: Route }

export const allRoutes = (): NamedRoute[] =>
  Object.entries(ROUTES).flatMap(([capability, routes]) =>
    Object.entries(routes as Routes).map(([name, route]) => ({ capability, name, route })),
  )

const MAY_CONTRADICT: ReadonlySet<Auth> = new Set(['anonymous', 'unidentified', 'device-or-unidentified'])

/** The statuses that the door and the limiters may answer with, besides those that the route declares. */
export function generalStatuses(route: Route): number[] {
  const statuses = [413]
  if (route.auth === 'device' || route.auth === 'device-or-unidentified' || route.auth === 'basic')
    statuses.push(401)
  if (MAY_CONTRADICT.has(route.auth) && !(403 in route.replies)) statuses.push(400)
  const hasInput = [route.params, route.query, route.headers].some((fields) => Object.keys(fields).length > 0)
  if (hasInput || route.body.contentType !== undefined) statuses.push(422)
  if (route.limiters.length > 0) statuses.push(429)
  return statuses.filter((status) => !(status in route.replies)).sort((a, b) => a - b)
}
