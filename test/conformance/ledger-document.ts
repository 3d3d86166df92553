// Writes docs/protocol/ledger.md: `node test/conformance/ledger-document.ts`.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENTRIES, type Entry, type Kind, LEDGER, type Section, type Status } from './ledger.ts'

export const LEDGER_FILE = join(import.meta.dirname, '..', '..', 'docs', 'protocol', 'ledger.md')

const STATUSES: readonly Status[] = ['done', 'partly', 'not yet', 'out of scope']
const KINDS: readonly Kind[] = ['REST', 'RPC', 'websocket', 'other host']

const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
const count = (kind: Kind, status: Status) =>
  ENTRIES.filter((entry) => entry.kind === kind && entry.status === status).length

function summary(): string {
  const rows = KINDS.map((kind) => {
    const counts = STATUSES.map((status) => count(kind, status))
    return row([kind, ...counts, counts.reduce((total, one) => total + one, 0)])
  })
  return [row(['', ...STATUSES, 'in all']), row(['---', '--:', '--:', '--:', '--:', '--:']), ...rows].join(
    '\n',
  )
}

const line = ({ endpoint, status, note }: Entry) => row([`\`${endpoint}\``, status, note])

const chapter = ({ title, entries }: Section) =>
  [`## ${title}`, '', row(['Endpoint', 'Status', '']), row(['---', '---', '---']), ...entries.map(line)].join(
    '\n',
  )

export const ledgerDocument = (): string =>
  `${[
    '# The ledger',
    'Every endpoint of Signal’s servers (Signal-Server of 2026-08-20) and what becomes of it here. Made from `test/conformance/ledger.ts`; a test compares it with the routes and the gRPC methods that the server has.',
    summary(),
    ...LEDGER.map(chapter),
  ].join('\n\n')}\n`

if (import.meta.main) writeFileSync(LEDGER_FILE, ledgerDocument())
