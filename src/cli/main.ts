#!/usr/bin/env node
import { startEarly } from '../model/tokenizer/start.js'

const argv = process.argv.slice(2)
// The commands that tokenise at once: the process for it starts while they are loaded, which takes as long.
if (['ask', 'demo', 'eval', 'profile', 'score', 'serve'].includes(argv[0] ?? '')) startEarly()
const { run } = await import('./run.js')

process.exitCode = await run(argv)
