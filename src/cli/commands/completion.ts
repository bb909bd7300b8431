import yargs, { type Argv } from 'yargs'
import type { GlobalOptions } from '../options.js'

const shells = ['bash', 'zsh'] as const

export function completion(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'completion [shell]',
    'Print the script that lets a shell complete commands, options, models and data sets',
    (args) =>
      args
        .positional('shell', { choices: shells, describe: 'Which shell (default: the one in $SHELL)' })
        .example('$0 completion bash >> ~/.bashrc', 'From the next shell on')
        .example('source <($0 completion zsh)', 'For this shell, bash or zsh'),
    ({ shell = process.env.SHELL?.endsWith('zsh') ? 'zsh' : 'bash' }) => {
      // yargs goes by these and by nothing else.
      process.env.SHELL = shell
      delete process.env.ZSH_NAME
      yargs().scriptName('headzip').showCompletionScript()
    },
  )
}
