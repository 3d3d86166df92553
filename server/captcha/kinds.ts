/** Done by a device, read by somebody, heard by somebody. */
export const KINDS = ['work', 'picture', 'sound'] as const
export type Kind = (typeof KINDS)[number]
