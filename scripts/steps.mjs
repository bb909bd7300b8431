/** The steps that bring a checkout to where its commands run. Each says only what it does, and nothing when it is done. */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { execPath, stderr } from 'node:process'
import { hashOf, isStamped, root, writeStamp } from './stamp.mjs'
import { checkNode, SetupError } from './tools.mjs'

const distStamp = 'dist/.headzip-setup'
const lock = join(root, '.setup/lock')

export async function packages() {
  await step('installing packages (npm ci)', packagesAreFresh, installPackages)
}

export async function nativeEngine() {
  const { buildNative, nativeIsFresh } = await import('./build-native.mjs')
  await step('compiling the native engine', nativeIsFresh, buildNative)
}

export async function typeScript() {
  await step('compiling TypeScript', () => isStamped(distStamp, distHash()), compileTypeScript)
}

export async function prebuiltEngine() {
  const { prebuild, prebuiltIsFresh } = await import('./build-prebuilt.mjs')
  await step('building the engine that the package carries', prebuiltIsFresh, prebuild)
}

/** Runs steps one after the other, alone in this checkout; a failure is told in one sentence and the exit code is 1. */
export async function runSteps(steps) {
  try {
    checkNode()
    await takeLock()
    try {
      for (const act of steps) await act()
    } finally {
      rmSync(lock, { force: true })
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

/** npm's own record of what is installed must hold every package of package-lock.json that is not optional. */
function packagesAreFresh() {
  const installed = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  const wanted = readPackages(join(root, 'package-lock.json'))
  const present = readPackages(installed)
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    const found = present[path]
    return path === '' || (found ? found.version === version : optional === true || devOptional === true)
  })
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {}
}

function installPackages() {
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci failed')
}

function distHash() {
  return hashOf(['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'])
}

function compileTypeScript() {
  const hash = distHash()
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  run(execPath, [tsc, '-p', 'tsconfig.build.json'], 'The TypeScript sources did not compile')
  // Shell completion reads a table, so that it need not load every command.
  const table = join(root, 'dist/cli/completion/write-table.js')
  run(execPath, [table], 'The table for shell completion was not written')
  writeStamp(distStamp, hash)
}

function run(command, args, failure) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (result.error) throw new SetupError(`${failure}: ${result.error.message}`)
  if (result.status === 0) return
  const output = `${result.stdout}${result.stderr}`.trimEnd().split('\n')
  throw new SetupError([...output.slice(0, 20), `${failure} (exit code ${result.status})`].join('\n'))
}

async function step(what, isFresh, act) {
  if (isFresh()) return
  stderr.write(`headzip set-up: ${what} ... `)
  const start = performance.now()
  try {
    await act()
  } catch (error) {
    stderr.write('failed\n')
    throw error
  }
  stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`)
}

/** Two set-ups at once would build into the same folders: the second waits for the first. */
async function takeLock() {
  mkdirSync(join(root, '.setup'), { recursive: true })
  for (let told = false; ; ) {
    try {
      const file = openSync(lock, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0
    if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true })
    else if (!told) {
      stderr.write(`headzip set-up: waiting for the one that process ${holder} runs (else remove ${lock})\n`)
      told = true
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
