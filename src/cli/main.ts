#!/usr/bin/env node

import { startEarly } from '../model/tokenizer/start.js'

const words = process.argv.slice(2)
const asked = words.indexOf('--get-yargs-completions')
if (asked >= 0) {
  const { printCompletions } = await import('./completion/print.js')
  await printCompletions(words.slice(asked + 1))
} else {
  // The commands that tokenise at once: the process for it starts while they are loaded, which takes as long.
  if (['ask', 'demo', 'eval', 'profile', 'score', 'serve'].includes(words[0] ?? '')) startEarly()
  const { run } = await import('./run.js')
  process.exitCode = await run(words)
}
