// What crosses between the main thread and a SQLite worker, one transferred buffer each way (values as in packing.ts).
//
// batch     = reset u8 (0, or 1: forget all statements) · lists u32 · list…
// list      = statements u32 · statement…
// statement = id u32 · SQL text (only on first use of an id: FIRST_USE is added to it) · must u32 + 1 (0: none) · arguments u32 · value…
//
// answer    = BATCH_KEPT · list answer… | BATCH_LOST · sentence text
// answer to a list = LIST_KEPT · outcome… | LIST_UNMET · index u32 | LIST_FAULTY · fault u8 · message text
// outcome   = changes u32 (of rows, their number) · WITHOUT_ROWS | WITH_ROWS · statement id u32 · value… | NEW_SHAPE · statement id u32 · columns u32 · name text… · value…

import type { StatementFault } from './storage-error.ts'

export const FIRST_USE = 0x8000_0000

export const BATCH_KEPT = 0
export const BATCH_LOST = 1

export const LIST_KEPT = 0
export const LIST_UNMET = 1
export const LIST_FAULTY = 2

export const WITHOUT_ROWS = 0
export const WITH_ROWS = 1
export const NEW_SHAPE = 2

export const FAULTS: readonly StatementFault[] = ['unique', 'constraint', 'other']
