// The face of one .proto: `<name>.js` names its codecs and services, `<name>.d.ts` types them.
import { basename } from 'node:path'
import protobuf from 'protobufjs'

export type Item = protobuf.Type | protobuf.Enum | protobuf.Service
export type Module = { readonly name: string; readonly items: Item[] }

const NUMBERS = /^(double|float|s?u?int(32|64)|s?fixed(32|64))$/
const SCALARS: Readonly<Record<string, string>> = { bool: 'boolean', string: 'string' }
const bytesType = (suffix: Suffix) => (suffix === 'Init' ? 'Uint8Array' : 'Uint8Array<ArrayBuffer>')

/** protobuf.js brings google.protobuf itself, from no file. */
export const moduleOf = (item: protobuf.ReflectionObject) => basename(item.filename ?? 'google', '.proto')

/** `Outer_Inner` for a message inside a message. */
function localName(item: protobuf.ReflectionObject): string {
  const { parent } = item
  return parent instanceof protobuf.Type ? `${localName(parent)}_${item.name}` : item.name
}

const rpcName = (method: protobuf.Method) => method.name[0]!.toLowerCase() + method.name.slice(1)
const rpcPath = (method: protobuf.Method) => `/${method.parent!.fullName.slice(1)}/${method.name}`
/** Which side sends more than one message. No RPC of Signal's has many requests and one reply. */
function streams(method: protobuf.Method): string {
  if (method.requestStream && !method.responseStream)
    throw new Error(`${method.fullName} streams requests only`)
  if (!method.responseStream) return 'false'
  return method.requestStream ? "'both'" : "'replies'"
}
const codecPath = (item: protobuf.ReflectionObject) => `codecs${item.fullName}`

/** A service's `heliograph.auth`; every service must have one. */
function authOf(service: protobuf.Service): string {
  const auth = service.options?.['(heliograph.auth)']
  if (auth === 'DEVICE' || auth === 'ANONYMOUS') return auth.toLowerCase()
  throw new Error(`${service.fullName} has no (heliograph.auth)`)
}

function rpcValue(method: protobuf.Method): string {
  const limit = method.options?.['(heliograph.max_request_bytes)']
  const longLived = method.options?.['(heliograph.long_lived)']
  return [
    `    ${rpcName(method)}: {`,
    `      path: '${rpcPath(method)}',`,
    `      stream: ${streams(method)},`,
    `      request: ${codecPath(method.resolvedRequestType!)},`,
    `      response: ${codecPath(method.resolvedResponseType!)},`,
    ...(limit === undefined ? [] : [`      maxRequestBytes: ${limit},`]),
    ...(longLived === true ? ['      longLived: true,'] : []),
    '    },',
  ].join('\n')
}

function serviceValue(service: protobuf.Service): string {
  const head = `export const ${service.name} = {\n  name: '${service.fullName.slice(1)}',\n  auth: '${authOf(service)}',`
  return `${head}\n  rpcs: {\n${service.methodsArray.map(rpcValue).join('\n')}\n  },\n}`
}

export function face(module: Module): string {
  const lines = module.items.map((item) =>
    item instanceof protobuf.Service
      ? serviceValue(item)
      : `export const ${localName(item)} = ${codecPath(item)}`,
  )
  return `import codecs from './codecs.js'\n\n${lines.join('\n')}\n`
}

export function declarations(module: Module): string {
  const imports = new Set<string>()
  const named = (item: protobuf.ReflectionObject, suffix: Suffix = '') => {
    const home = moduleOf(item)
    if (home === module.name) return localName(item) + suffix
    imports.add(home)
    return `${home}.${localName(item)}${suffix}`
  }
  const body = module.items.map((item) => {
    if (item instanceof protobuf.Enum) return enumType(item)
    return item instanceof protobuf.Service ? serviceType(item, named) : messageTypes(item, named)
  })
  const lines = [...imports].sort().map((name) => `import type * as ${name} from './${name}.js'`)
  return `${["import type { Codec, Rpc } from '../service.ts'", ...lines].join('\n')}\n\n${body.join('\n')}`
}

/** Decoded, or what encoding takes. */
type Suffix = '' | 'Init'
type Named = (item: protobuf.ReflectionObject, suffix?: Suffix) => string

function enumType(item: protobuf.Enum): string {
  const values = Object.entries(item.values).map(([name, value]) => `  readonly ${name}: ${value}`)
  return `export declare const ${localName(item)}: {\n${values.join('\n')}\n}\n`
}

function serviceType(service: protobuf.Service, named: Named): string {
  const codec = (type: protobuf.Type) => `typeof ${named(type)}`
  const rpcs = service.methodsArray.map((method) => {
    const types = [method.resolvedRequestType!, method.resolvedResponseType!].map(codec)
    return `    readonly ${rpcName(method)}: Rpc<${types.join(', ')}, ${streams(method)}>`
  })
  const head = `export declare const ${service.name}: {\n  readonly name: '${service.fullName.slice(1)}'`
  return `${head}\n  readonly auth: '${authOf(service)}'\n  readonly rpcs: {\n${rpcs.join('\n')}\n  }\n}\n`
}

function valueType(field: protobuf.Field, named: Named, suffix: Suffix): string {
  const one = () => {
    if (NUMBERS.test(field.type) || field.resolvedType instanceof protobuf.Enum) return 'number'
    if (field.type === 'bytes') return bytesType(suffix)
    return field.resolvedType ? named(field.resolvedType, suffix) : SCALARS[field.type]!
  }
  if (field instanceof protobuf.MapField) return `Readonly<Record<string, ${one()}>>`
  return field.repeated ? `readonly ${one()}[]` : one()
}

/** Whether an absent field decodes as null, and not as the zero of its type. */
const nullable = (field: protobuf.Field) =>
  field.partOf !== null || (field.resolvedType instanceof protobuf.Type && !field.repeated && !field.map)

const EMPTY = 'Readonly<Record<string, never>>'
const realOneofs = (type: protobuf.Type) => type.oneofsArray.filter((oneof) => !oneof.isProto3Optional)
const plainFields = (type: protobuf.Type) =>
  type.fieldsArray.filter((field) => !field.partOf || field.partOf.isProto3Optional)

const absent = (fields: protobuf.Field[], type: string) =>
  fields.map((field) => `readonly ${field.name}${type}`)
const union = (cases: string[][]) =>
  `(\n${cases.map((fields) => `  | { ${fields.join('; ')} }`).join('\n')}\n)`

function decodedOneof(oneof: protobuf.OneOf, named: Named): string {
  const others = (chosen?: protobuf.Field) =>
    absent(
      oneof.fieldsArray.filter((field) => field !== chosen),
      ': null',
    )
  const cases = oneof.fieldsArray.map((field) => [
    `readonly ${oneof.name}: '${field.name}'`,
    `readonly ${field.name}: ${valueType(field, named, '')}`,
    ...others(field),
  ])
  return union([...cases, [`readonly ${oneof.name}: undefined`, ...others()]])
}

/** An answer must choose: libsignal takes an empty `oneof response` for a broken connection. */
const mustChoose = (oneof: protobuf.OneOf) => oneof.name === 'response'

function initOneof(oneof: protobuf.OneOf, named: Named): string {
  const others = (chosen?: protobuf.Field) =>
    absent(
      oneof.fieldsArray.filter((field) => field !== chosen),
      '?: null | undefined',
    )
  const cases = oneof.fieldsArray.map((field) => [
    `readonly ${field.name}: ${valueType(field, named, 'Init')}`,
    ...others(field),
  ])
  return union(mustChoose(oneof) ? cases : [...cases, others()])
}

function messageTypes(type: protobuf.Type, named: Named): string {
  const name = localName(type)
  const decoded = plainFields(type).map(
    (field) => `  readonly ${field.name}: ${valueType(field, named, '')}${nullable(field) ? ' | null' : ''}`,
  )
  const init = plainFields(type).map(
    (field) => `  readonly ${field.name}?: ${valueType(field, named, 'Init')} | null | undefined`,
  )
  const shape = (fields: string[], oneofs: string[]) =>
    [...(fields.length > 0 ? [`{\n${fields.join('\n')}\n}`] : []), ...oneofs].join(' & ') || EMPTY
  const oneofs = realOneofs(type)
  return [
    `export type ${name} = ${shape(
      decoded,
      oneofs.map((oneof) => decodedOneof(oneof, named)),
    )}`,
    `export type ${name}Init = ${shape(
      init,
      oneofs.map((oneof) => initOneof(oneof, named)),
    )}`,
    `export declare const ${name}: Codec<${name}, ${name}Init>\n`,
  ].join('\n')
}
