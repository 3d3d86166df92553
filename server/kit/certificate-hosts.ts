import type { Config } from './config.ts'

const hostOf = (url: string): string => new URL(url).hostname.replaceAll(/^\[|\]$/g, '')

/** The names by which clients reach this server, besides localhost. */
export const certificateHosts = ({ listen, edge }: Pick<Config, 'listen' | 'edge'>): string[] => [
  listen.host,
  ...(listen.url === undefined ? [] : [hostOf(listen.url)]),
  ...(edge.nginx?.names ?? []),
]
