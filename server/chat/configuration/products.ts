// What clients offer for sale, which they ask for at their start (signal-api §2.23): nothing, and the levels of backups.

/** Signal's number of the level that keeps media. */
const PAID_LEVEL = '201'

export type BackupRules = {
  readonly level: 'free' | 'paid'
  readonly maxMediaBytes: number
  readonly graceDays: number
}

export const productsOf = ({ level, maxMediaBytes, graceDays }: BackupRules) => ({
  currencies: {},
  levels: {},
  backup: {
    levels: {
      [PAID_LEVEL]: { storageAllowanceBytes: maxMediaBytes, playProductId: '', mediaTtlDays: graceDays },
    },
    freeTierMediaDays: level === 'paid' ? graceDays : 0,
  },
  sepaMaximumEuros: 0,
})
