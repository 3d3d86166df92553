import { reportsRoutes } from '../../../wire/rest/reports.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Reports } from './reports.ts'

export const reportsRest = (reports: Reports): Bound[] =>
  implement(reportsRoutes, {
    async report({ caller, params }) {
      await reports.report(caller, params.source, params.guid)
      return { status: 202 }
    },
  })
