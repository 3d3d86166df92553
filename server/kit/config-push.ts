import { z } from 'zod'

export const push = z.strictObject({
  url: z
    .url({ protocol: /^https$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe(
      'Where another process of ours has the role `push`, for a process that has not. It needs the same secrets.',
    ),
})
