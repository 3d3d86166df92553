// What a person may ask of the server: a report of their account and its devices (signal-api §2.4).
import type { Account } from './account.ts'

export type DataReport = {
  readonly reportId: string
  /** Moments are told to the second: `2026-01-31T12:00:00Z`. */
  readonly reportTimestamp: string
  readonly data: {
    readonly account: {
      readonly phoneNumber: string | null
      readonly badges: []
      readonly allowSealedSenderFromAnyone: boolean
      readonly findAccountByPhoneNumber: boolean
    }
    readonly devices: {
      readonly id: number
      readonly lastSeen: string
      readonly created: string
      readonly userAgent: string | null
    }[]
  }
  /** The same for people. */
  readonly text: string
}

export function dataReport(account: Account, reportId: string, nowMs: number): DataReport {
  const report = {
    reportId,
    reportTimestamp: moment(nowMs),
    data: {
      account: {
        phoneNumber: account.e164 ?? null,
        badges: [] as [],
        allowSealedSenderFromAnyone: account.unrestrictedUnidentifiedAccess,
        findAccountByPhoneNumber: account.discoverableByPhoneNumber,
      },
      devices: account.devices.map((device) => ({
        id: device.id,
        lastSeen: moment(device.lastSeenMs),
        created: moment(device.createdAtMs),
        userAgent: device.userAgent ?? null,
      })),
    },
  }
  return { ...report, text: textOf(report) }
}

const moment = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
const yesOrNo = (value: boolean): string => (value ? 'yes' : 'no')

function textOf({ reportId, reportTimestamp, data }: Omit<DataReport, 'text'>): string {
  const { account, devices } = data
  const lines = [
    `Report ${reportId}`,
    `Made at ${reportTimestamp}`,
    '',
    '# Account',
    `Phone number: ${account.phoneNumber ?? 'none'}`,
    `Others find it by its phone number: ${yesOrNo(account.findAccountByPhoneNumber)}`,
    `Anyone may send to it by sealed sender: ${yesOrNo(account.allowSealedSenderFromAnyone)}`,
    'Badges: none',
    '',
    '# Devices',
    ...devices.flatMap((device) => [
      `- Device ${device.id}`,
      `  Added: ${device.created}`,
      `  Last seen: ${device.lastSeen}`,
      `  Program: ${device.userAgent ?? 'unknown'}`,
    ]),
  ]
  return `${lines.join('\n')}\n`
}
