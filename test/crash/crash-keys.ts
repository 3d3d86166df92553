/** Known to the process that is killed, and to who has to do with it. */
export const CRASH_KEYS = {
  bearerKey: Buffer.alloc(32, 3),
  accessKeyId: 'HELIOCRASH',
  secretAccessKey: 'secret',
}
