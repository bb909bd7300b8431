#!/usr/bin/env node
const words = process.argv.slice(2)
const asked = words.indexOf('--get-yargs-completions')
if (asked >= 0) {
  // A press of a key: nothing else is loaded.
  const { printCompletions } = await import('./completion/print.js')
  await printCompletions(words.slice(asked + 1))
} else {
  const { startEarly } = await import('../model/tokenizer/start.js')
  // The commands that tokenise at once: the process for it starts while they are loaded, which takes as long.
  if (['ask', 'demo', 'eval', 'profile', 'score', 'serve'].includes(words[0] ?? '')) startEarly()
  const { run } = await import('./run.js')
  process.exitCode = await run(words)
}

export {}
