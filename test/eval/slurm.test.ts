/**
 * Four shards as a real array job on a Slurm of one node, started here in a scratch folder; one task is killed and
 * comes back. Needs Debian's slurm-wlm and munge, and root, which slurmd runs tasks as.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { headzip, packageRoot } from '../cli/headzip.js'

const folder = mkdtempSync('/tmp/headzip-slurm-')
const reason = whyNot()
if (reason) console.warn(`Slurm test skipped: ${reason}`)

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root, to run slurmd and munged'
  const missing = ['sbatch', 'slurmctld', 'slurmd', 'munged'].filter(
    (name) => spawnSync('which', [name], { encoding: 'utf8' }).status !== 0,
  )
  return missing.length > 0
    ? `there is no ${missing.join(', ')} (Debian: apt-get install slurm-wlm munge)`
    : undefined
}

const at = (...parts: string[]): string => join(folder, ...parts)
const env = { ...process.env, SLURM_CONF: at('slurm.conf') }
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { env, cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

function configure(): void {
  chmodSync(folder, 0o755)
  for (const name of ['munge', 'state', 'spool']) mkdirSync(at(name), { mode: 0o755 })
  writeFileSync(at('munge.key'), randomBytes(1024), { mode: 0o600 })
  const host = hostname().split('.')[0]
  const port = 20_000 + (process.pid % 20_000)
  // A requeued job waits until the credentials of its last run have expired.
  writeFileSync(
    at('slurm.conf'),
    `ClusterName=headzip
SlurmctldHost=${host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${at('munge/socket')},cred_expire=5
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool')}
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd.pid')}
SlurmctldLogFile=${at('slurmctld.log')}
SlurmdLogFile=${at('slurmd.log')}
SlurmctldPort=${port}
SlurmdPort=${port + 1}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
JobRequeue=1
SlurmdParameters=config_overrides
NodeName=${host} CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`,
  )
}

const options =
  '-d needle --needle-lengths 150,200 --needle-depths 0,30,60,90 --ratios 0.3,1 --level head,pair'.split(' ')

/** The job file of docs/scale-out.md, with the process's id left for the test to kill. */
function jobFile(): string {
  const cli = join(packageRoot, 'dist/cli/main.js')
  return `#!/bin/bash
#SBATCH --array=0-3
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=${at('task-%a.log')}
${process.execPath} ${cli} eval nano ${options.join(' ')} --threads 1 --out ${at('results')} &
echo $! > ${at('pid-$SLURM_ARRAY_TASK_ID')}
wait $! && exit 0
if (( \${SLURM_RESTART_COUNT:-0} < 3 )); then scontrol requeue "$SLURM_JOB_ID"; fi
exit 1
`
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 240_000; !holds(); await sleep(50))
    if (Date.now() > deadline) throw new Error(`Slurm: ${what} did not happen in four minutes`)
}

describe.skipIf(reason !== undefined)('four shards as a Slurm array', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    configure()
    run(
      'munged',
      '--force',
      ...[`--key-file=${at('munge.key')}`, `--socket=${at('munge/socket')}`, `--pid-file=${at('munge/pid')}`],
      ...[`--log-file=${at('munge/log')}`, `--seed-file=${at('munge/seed')}`],
    )
    run('slurmctld')
    run('slurmd')
    await until('a node that is idle', () =>
      spawnSync('sinfo', ['-h', '-o', '%T'], { env }).stdout.includes('idle'),
    )
  }, 300_000)
  afterAll(() => {
    spawnSync('scontrol', ['shutdown'], { env })
    if (existsSync(at('munge/pid'))) process.kill(Number(readFileSync(at('munge/pid'), 'utf8')))
  })

  it('give the table of a single run, though one task is killed and queued again', async () => {
    writeFileSync(at('job.sh'), jobFile())
    const job = run('sbatch', '--parsable', at('job.sh')).trim()
    // sample 1 is the first of task 1, sample 5 its second and last
    await until('the first sample of task 1', () => existsSync(at('results/nano/needle/00001.arrow')))
    process.kill(Number(readFileSync(at('pid-1'), 'utf8')), 'SIGKILL')
    await until('the end of the array', () => run('squeue', '-h', '-j', job).trim() === '')
    const log = readFileSync(at('task-1.log'), 'utf8')
    expect(log).toContain('Killed')
    expect(log.match(/shard 1\/4, from SLURM_ARRAY_TASK_ID/g)).toHaveLength(2)
    expect(log).toContain('1 samples answered, 1 found answered, of 8 in all.')

    const single = await headzip(['eval', 'nano', ...options, '-o', at('single')])
    expect(single).toMatchObject({ code: 0 })
    const [shared, alone] = await Promise.all(
      ['results', 'single'].map((name) => headzip(['results', at(name), '--format', 'csv'])),
    )
    expect(shared!.out).toBe(alone!.out)
    expect(shared!.out.split('\n')).toHaveLength(1 + 3 + 1)
  })
})
