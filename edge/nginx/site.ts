// nginx's configuration for a Heliograph behind it, as text (docs/edge/nginx.md says what goes where).
import { join } from 'node:path'
import { isAtLeast, NginxError } from './installed-nginx.ts'

export type Site = {
  readonly nginx: {
    readonly version: string
    readonly openssl: string
    readonly jsModule: string | undefined
    readonly hasJsAccess: boolean
  }
  readonly host: string
  readonly port: number
  /** None: it answers to every name. */
  readonly names: readonly string[]
  readonly certificate: string
  readonly certificateKey: string
  /** Heliograph's own door, and the authority of its certificate. */
  readonly upstream: string
  readonly authority: string
  /** Of the disk store. */
  readonly filesFolder: string
  readonly socket: string
  readonly keyFile: string
  /** Requests of one address that may be under way at a time. */
  readonly maxPerAddress: number
  /** Where all of this is written to, and what nginx writes besides. */
  readonly folder: string
  /** Whose files these are, if nginx is started by root. */
  readonly user: string | undefined
}

export const SITE_FILES = { main: 'nginx.conf', http: 'heliograph.conf', script: 'upload-check.js' }

/** The headers with which every answer of the file store goes out. */
const SAFE = {
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Content-Security-Policy': "default-src 'none'; sandbox",
}
const PREFIX = '(?:/cdn[023](?=/))*'
const NAME = '[A-Za-z0-9_-]'
const SHARDED = `(?<hg_name>(?<hg_shard>${NAME}{1,2})${NAME}{0,62})`
const TEMPORARY = ['proxy', 'fastcgi', 'uwsgi', 'scgi', 'client_body']

/** nginx knows no way to write a dollar sign. */
function quoted(path: string): string {
  if (/[$"\\]|\p{Cc}/u.test(path))
    throw new NginxError(`nginx cannot be told of the path ${path}: choose another.`)
  return `"${path}"`
}

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ')
const block = (head: string, ...lines: readonly string[]): string =>
  `${head} {\n${indented(lines.join('\n'))}\n}`

/** The whole configuration of an nginx that does nothing else. */
export function nginxConf(site: Site): string {
  const { nginx, folder, user } = site
  const inFolder = (name: string) => quoted(join(folder, name))
  return `${[
    '# Made by `heliograph edge nginx`: change Heliograph’s configuration, and make it anew.',
    ...(nginx.jsModule === undefined ? [] : [`load_module ${quoted(nginx.jsModule)};`]),
    ...(user === undefined ? [] : [`user ${user};`]),
    'worker_processes auto;',
    'worker_rlimit_nofile 16384;',
    `pid ${inFolder('nginx.pid')};`,
    `error_log ${inFolder('error.log')} warn;`,
    block('events', 'worker_connections 4096;'),
    block(
      'http',
      ...TEMPORARY.map((name) => `${name}_temp_path ${inFolder(`temporary/${name}`)};`),
      'sendfile on;',
      'tcp_nopush on;',
      `include ${inFolder(SITE_FILES.http)};`,
    ),
  ].join('\n')}\n`
}

/** For the `http` of an nginx that does other things too; its workers have to be of Heliograph's user. */
export function httpConf(site: Site): string {
  const { folder, socket, upstream, nginx } = site
  return `${[
    '# Made by `heliograph edge nginx`: change Heliograph’s configuration, and make it anew.',
    `js_import heliograph from ${quoted(join(folder, SITE_FILES.script))};`,
    ...(nginx.hasJsAccess ? [] : ['js_set $heliograph_verdict heliograph.verdict;']),
    block('upstream heliograph', `server ${upstream};`, 'keepalive 64;'),
    block('upstream heliograph_grpc', `server ${upstream};`, 'keepalive 16;'),
    block('upstream heliograph_files', `server ${quoted(`unix:${socket}`)};`, 'keepalive 16;'),
    ...maps(),
    "log_format heliograph '$time_iso8601 $heliograph_way $status';",
    'limit_conn_zone $binary_remote_addr zone=heliograph_addresses:10m;',
    server(site),
  ].join('\n')}\n`
}

/** Requests are told apart as they were sent: nothing is decoded, joined or shortened. */
const maps = (): string[] => [
  '# What is read from disk: its path below the folder of objects.',
  block(
    'map "$request_method $request_uri" $heliograph_object',
    'default "";',
    object(`(?<hg_kind>attachments|profiles)/${SHARDED}`, '$hg_kind/$hg_shard/$hg_name'),
    object(`groups/${SHARDED}/(?<hg_rest>${NAME}{1,64})`, 'groups/$hg_shard/$hg_name/$hg_rest'),
    object(
      'stickers/(?<hg_name>(?<hg_shard>[0-9a-f]{2})[0-9a-f]{30})/(?<hg_rest>manifest\\.proto|full/[0-9]{1,3})',
      'stickers/$hg_shard/$hg_name/$hg_rest',
    ),
  ),
  '# What is written to disk: plain uploads that say how long they are. Others go through Heliograph, which counts.',
  block(
    'map "$request_method $http_content_length $request_uri" $heliograph_upload',
    'default "";',
    `"~^(?!GET |HEAD )[^ ]+ [0-9]+ ${PREFIX}/plain/" 1;`,
  ),
  block(
    'map "$heliograph_upload:$heliograph_object" $heliograph_way',
    'default download;',
    '"1:" upload;',
    '":" passed;',
  ),
  block('map $status $heliograph_is_trouble', 'default "";', '~^5 1;'),
  block('map $http_upgrade $heliograph_connection', 'default upgrade;', '"" "";'),
  block('map "" $heliograph_nothing', 'default "";'),
]

const object = (pattern: string, path: string): string =>
  `"~^(?:GET|HEAD) ${PREFIX}/${pattern}(?:\\?|$)" ${path};`

function server(site: Site): string {
  const { nginx, host, port, names, maxPerAddress, folder } = site
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const hasHttp2 = isAtLeast(nginx.version, '1.25.1')
  return block(
    'server',
    `listen ${address} ssl${hasHttp2 ? '' : ' http2'};`,
    ...(hasHttp2 ? ['http2 on;'] : []),
    `server_name ${names.length === 0 ? '_' : names.join(' ')};`,
    ...tls(site),
    'server_tokens off;',
    '# An address, and who asked for what, is written nowhere; what failed on our side is counted here.',
    `access_log ${quoted(join(folder, 'trouble.log'))} heliograph if=$heliograph_is_trouble;`,
    `error_log ${quoted(join(folder, 'error.log'))} emerg;`,
    `limit_conn heliograph_addresses ${maxPerAddress};`,
    'limit_conn_status 429;',
    'client_header_timeout 10s;',
    'client_body_timeout 30s;',
    'send_timeout 30s;',
    'reset_timedout_connection on;',
    'large_client_header_buffers 4 16k;',
    'client_max_body_size 0;',
    'types { }',
    'default_type application/octet-stream;',
    'if ($heliograph_object) { rewrite ^ /=object/$heliograph_object? last; }',
    'if ($heliograph_upload) { rewrite ^ /=upload? last; }',
    downloads(site),
    uploads(site),
    answer('@heliograph_missing', 404),
    '# The headers of the file have been added by then.',
    block('location @heliograph_beyond', 'return 416 $heliograph_nothing;'),
    answer('@heliograph_full', 507),
    answer('@heliograph_down', 503),
    passed(site),
    grpc(site),
  )
}

const tls = ({ nginx, certificate, certificateKey }: Site): string[] => [
  `ssl_certificate ${quoted(certificate)};`,
  `ssl_certificate_key ${quoted(certificateKey)};`,
  'ssl_protocols TLSv1.2 TLSv1.3;',
  'ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;',
  'ssl_prefer_server_ciphers off;',
  `ssl_ecdh_curve ${isAtLeast(nginx.openssl, '3.5') ? 'X25519MLKEM768:' : ''}X25519:prime256v1;`,
  'ssl_session_cache shared:heliograph_tls:2m;',
  'ssl_session_tickets off;',
]

const safeHeaders = (): string[] =>
  Object.entries(SAFE).map(([name, value]) => `add_header ${name} "${value}" always;`)

/** Without a body, as Heliograph refuses too. */
const answer = (name: string, status: number): string =>
  block(`location ${name}`, ...safeHeaders(), `return ${status} $heliograph_nothing;`)

function downloads({ filesFolder }: Site): string {
  const objects = join(filesFolder, 'objects')
  return block(
    'location ^~ /=object/',
    'internal;',
    `alias ${quoted(`${objects}/`)};`,
    `disable_symlinks on from=${quoted(objects)};`,
    'etag on;',
    'max_ranges 1;',
    'log_not_found off;',
    'error_page 403 404 =404 @heliograph_missing;',
    'error_page 416 @heliograph_beyond;',
    ...safeHeaders(),
    'add_header Cache-Control "public, max-age=31536000, immutable";',
    'add_header Content-Disposition attachment;',
  )
}

function uploads({ nginx, filesFolder, keyFile }: Site): string {
  const refusal = (status: number) => `if ($heliograph_verdict = ${status}) { return ${status}; }`
  const check = nginx.hasJsAccess
    ? ['js_access heliograph.access;']
    : [...[400, 409, 413, 503].map(refusal), 'if ($heliograph_verdict != take) { return 403; }']
  return block(
    'location = /=upload',
    'internal;',
    `set $heliograph_upload_keys ${quoted(keyFile)};`,
    `set $heliograph_attachments ${quoted(join(filesFolder, 'objects', 'attachments'))};`,
    '# Without a text of ours: before one of its own, nginx does not ask for the body.',
    ...check,
    '# The body goes to the disk of the store, and only its name to Heliograph, which enters it for good.',
    `client_body_temp_path ${quoted(join(filesFolder, 'incoming'))};`,
    'client_body_in_file_only clean;',
    'client_body_buffer_size 128k;',
    'proxy_pass http://heliograph_files$request_uri;',
    'proxy_http_version 1.1;',
    'proxy_pass_request_body off;',
    'proxy_pass_request_headers off;',
    'proxy_set_header Connection "";',
    'proxy_set_header Host heliograph;',
    'proxy_set_header Content-Length 0;',
    'proxy_set_header Heliograph-Body-File $request_body_file;',
    'proxy_set_header Heliograph-Seconds $request_time;',
    '# What was handed over once is handed over: it is not tried again.',
    'proxy_next_upstream off;',
    'proxy_read_timeout 90s;',
    '# nginx says 500 when it cannot write the body, which is what a full disk is.',
    'error_page 500 =507 @heliograph_full;',
    'error_page 502 504 =503 @heliograph_down;',
    ...Object.keys(SAFE).map((name) => `proxy_hide_header ${name};`),
    ...safeHeaders(),
  )
}

/** The certificate of Heliograph itself is for localhost always. */
const trust = (kind: 'proxy' | 'grpc', { authority }: Site): string[] => [
  `${kind}_ssl_verify on;`,
  `${kind}_ssl_trusted_certificate ${quoted(authority)};`,
  `${kind}_ssl_name localhost;`,
  `${kind}_ssl_server_name on;`,
  `${kind}_ssl_protocols TLSv1.3;`,
]

const passed = (site: Site): string =>
  block(
    'location /',
    'proxy_pass https://heliograph;',
    'proxy_http_version 1.1;',
    'proxy_set_header Host $host;',
    'proxy_set_header Upgrade $http_upgrade;',
    'proxy_set_header Connection $heliograph_connection;',
    'proxy_set_header X-Forwarded-For $remote_addr;',
    'proxy_request_buffering off;',
    'proxy_buffering off;',
    'proxy_next_upstream off;',
    '# Clients on a websocket say something every 31 seconds.',
    'proxy_read_timeout 90s;',
    'proxy_send_timeout 90s;',
    'error_page 502 504 =503 @heliograph_down;',
    ...trust('proxy', site),
  )

const grpc = (site: Site): string =>
  block(
    'location ~ ^/org\\.signal\\.chat\\.',
    'grpc_pass grpcs://heliograph_grpc;',
    'grpc_set_header X-Forwarded-For $remote_addr;',
    'grpc_read_timeout 1h;',
    'grpc_send_timeout 90s;',
    'grpc_next_upstream off;',
    ...trust('grpc', site),
  )
