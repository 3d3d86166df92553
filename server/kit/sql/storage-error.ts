/** Storage as a whole failed or refused to open; `message` is one clear sentence without user data. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
}

export type StatementFault = 'unique' | 'constraint' | 'other'

/** One statement was in error; its list was undone and nothing else was. */
export class StatementError extends Error {
  override readonly name = 'StatementError'
  readonly fault: StatementFault

  constructor(fault: StatementFault, message: string) {
    super(message)
    this.fault = fault
  }
}
