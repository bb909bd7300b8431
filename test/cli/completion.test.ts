import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { complete } from '../../src/cli/completion/complete.js'
import { makeTable } from '../../src/cli/completion/make-table.js'
import { scratchFolder } from '../scratch.js'
import { headzip, packageRoot, runNode } from './headzip.js'

const table = makeTable()
/** The last word is being typed. */
const words = (line: string): string[] => complete(line.split(' ').slice(1), table).map(({ word }) => word)

describe('completion', () => {
  it.each<[string, string[]]>([
    ['headzip sc', ['score']],
    ['headzip re', ['report', 'results']],
    ['headzip data ', ['list', 'show', 'fetch']],
    ['headzip data fe', ['fetch']],
    ['headzip score nan', ['nano']],
    ['headzip ask qwen3-0', ['qwen3-0.6b', 'qwen3-0.6b-fp8']],
    ['headzip score nano --meth', ['--method']],
    ['headzip score nano --method ', ['kvzip', 'kvzip+', 'duo-estimate']],
    ['headzip score nano --method d', ['duo-estimate']],
    ['headzip score nano --method=d', ['--method=duo-estimate']],
    ['headzip score nano --method = d', ['duo-estimate']],
    ['headzip score nano --data sq', ['squad']],
    ['headzip eval nano -d squad,sample_q', ['squad,sample_qa_eng']],
    ['headzip data show need', ['needle']],
    ['headzip export --to d', ['duo']],
    ['headzip completion ', ['bash', 'zsh']],
    ['headzip score nano --json --jso', []],
    ['headzip ask nano --query a --que', ['--query']],
    ['headzip --ver', ['--verbose']],
    // A file's name is the shell's to complete.
    ['headzip ask nano --context ', []],
    ['headzip ask ./lla', []],
    ['headzip merge ', []],
    ['headzip score nano ', []],
  ])('of "%s"', (line, expected) => {
    expect(words(line)).toEqual(expected)
  })

  it('knows every command, and every option of each', () => {
    expect(words('headzip ')).toHaveLength(table.root.commands.length)
    for (const command of table.root.commands) {
      const options = [...command.options, ...table.root.options]
      const shown = words(`headzip ${command.name} --`)
      expect(shown).toEqual([...options.map(({ names }) => `--${names[0]}`), '--help'])
    }
  })

  it('runs without any library, the engine or another file of the program', async () => {
    const folder = scratchFolder()
    const cli = join(folder, 'cli')
    mkdirSync(cli)
    cpSync(join(packageRoot, 'dist/escape.js'), join(folder, 'escape.js'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    for (const part of ['main.js', 'command-info.js', 'completion'])
      cpSync(join(packageRoot, 'dist/cli', part), join(cli, part), { recursive: true })
    const ask = ['--get-yargs-completions', 'headzip', 'export', '--to', 'kv']
    const outcome = await runNode([join(cli, 'main.js'), ...ask], { cwd: folder })
    expect(outcome).toEqual({ code: 0, out: 'kvzip\nkvpress\n', err: '' })
  })

  it('works in bash', async () => {
    const bin = scratchFolder()
    const shim = join(bin, 'headzip')
    writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${packageRoot}/dist/cli/main.js' "$@"\n`)
    chmodSync(shim, 0o755)
    const press = (...typed: string[]): string =>
      [
        'source <(headzip completion bash)',
        `COMP_WORDS=(${typed.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${typed.length - 1}`,
        '_headzip_yargs_completions',
        'declare -p COMPREPLY',
      ].join('\n')
    const script = `${press('headzip', 'st')}\n${press('headzip', 'score', 'nano', '--method', 'kv')}`
    const { stdout, stderr } = spawnSync('bash', ['-c', script], {
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'declare -a COMPREPLY=([0]="stability")',
      'declare -a COMPREPLY=([0]="kvzip" [1]="kvzip+")',
    ])
  })

  it('tells zsh what each word means', async () => {
    const script = await headzip(['completion', 'zsh'])
    expect(script.out).toMatch(/^#compdef headzip\n/)
    expect((await headzip(['completion'], { env: { SHELL: '/bin/zsh' } })).out).toBe(script.out)
    // as that script asks
    const { out } = await headzip(['--get-yargs-completions', 'headzip', 'ask', '--full'], {
      env: { COMP_CWORD: '2', COMP_LINE: 'headzip ask --full', COMP_POINT: '18' },
    })
    expect(out).toBe('--full:Evict nothing\n')
  })
})
