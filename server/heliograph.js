#!/usr/bin/env node
// The launcher. It is JavaScript so that nothing has to load Node's type stripper (40 MB over all threads): compiled
// code is kept between starts, and made by a process of its own before the first.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

const cache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'heliograph')
if (!existsSync(cache)) spawnSync(process.execPath, [join(import.meta.dirname, 'warm.ts'), cache])
enableCompileCache(cache)
await import('./main.ts')
