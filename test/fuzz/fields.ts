// The fields of a JSON body, found in its schema, and a body with one of them replaced.
import { z } from 'zod'
import type { Route } from '../../wire/route.ts'

export type Path = readonly (string | number)[]

type Schema = {
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
}

/** Every field of the body, at any depth; of a list the list itself and its first entry. The body itself comes first. */
export function fieldsOf(route: Route): Path[] {
  const { schema } = route.body
  if (!schema) return []
  const walk = (at: Schema, path: Path): Path[] => [
    path,
    ...(at.anyOf ?? []).flatMap((one) => walk(one, path).slice(1)),
    ...Object.entries(at.properties ?? {}).flatMap(([name, one]) => walk(one, [...path, name])),
    ...(typeof at.additionalProperties === 'object'
      ? walk(at.additionalProperties, [...path, 'anything'])
      : []),
    ...(at.items ? walk(at.items, [...path, 0]) : []),
  ]
  return walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema, [])
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON
type Json = any

/** A copy of `body` with `value` at `path`; `undefined` leaves the field out. Containers that are missing are made. */
export function withField(body: unknown, path: Path, value: unknown): unknown {
  const [first, ...rest] = path
  if (first === undefined) return value
  const copy: Json = Array.isArray(body) ? [...body] : { ...(body as object) }
  const target: Json = typeof first === 'number' && !Array.isArray(body) ? [] : copy
  const inner = withField(target[first], rest, value)
  if (inner === undefined) delete target[first]
  else
    Object.defineProperty(target, first, {
      value: inner,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  return target
}
