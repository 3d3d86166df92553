// How much room the host has left. What is free of memory honours the limit of a container.
import { statfs } from 'node:fs/promises'

export type FreeRoom = { readonly diskBytes: number; readonly memoryBytes: number }

/** Measures the disk of a folder, as far as an ordinary user may fill it. */
export async function freeRoom(folder: string): Promise<FreeRoom> {
  const { bavail, bsize } = await statfs(folder)
  return { diskBytes: bavail * bsize, memoryBytes: process.availableMemory() }
}
