/**
 * Standard output, which may be full, or closed by its reader, before all is said: the work stops then, for nobody would
 * see what comes of it. With `-o -` it holds a file, and what is printed for people goes to stderr.
 */

import { fstatSync, writeSync } from 'node:fs'
import { InputError } from '../errors.js'
import type { FileContent } from '../files/write.js'

let failure: NodeJS.ErrnoException | undefined
let onFailure = (): void => {}
let holdsContent = false
let watched = false

/** @param stop is called once, when the first write fails */
export function watchOutput(stop: () => void): void {
  onFailure = stop
  if (watched) return
  watched = true
  process.stdout.on('error', fail)
  // Nobody can be told that stderr is full or closed, and no work depends on it.
  process.stderr.on('error', () => {})
}

export function outputFailed(): boolean {
  return failure !== undefined
}

/**
 * Waits until all that was printed is out.
 * @returns what went wrong, in one sentence; undefined where nothing did, or the reader had enough, as `head` has
 */
export async function endOutput(): Promise<string | undefined> {
  if (!failure && !isFile()) await new Promise<void>((done) => void process.stdout.write('', () => done()))
  if (!failure || failure.code === 'EPIPE') return undefined
  return `standard output cannot be written: ${failure.message}`
}

/** Text for people, or JSON, escaped by output.ts. */
export function printOut(text: string): void {
  if (holdsContent) process.stderr.write(text)
  else write(text)
}

/** From now on standard output is a file's. @throws InputError with --json, whose place it is */
export function giveToContent(json: boolean): void {
  if (json) throw new InputError('--json and -o - both write to standard output: give one of them')
  holdsContent = true
}

/** @throws InputError where bytes that are no text would go to a terminal */
export async function writeContent(content: FileContent): Promise<void> {
  if (typeof content !== 'string' && process.stdout.isTTY)
    throw new InputError(
      'standard output is a terminal and the file is not text: send it to a file or a pipe',
    )
  if (typeof content === 'string' || content instanceof Uint8Array) write(content)
  else for await (const part of content) write(part)
}

function write(content: string | Uint8Array): void {
  if (failure) return
  try {
    if (isFile()) writeWhole(content)
    else process.stdout.write(content)
  } catch (error) {
    fail(error as NodeJS.ErrnoException)
  }
}

/** On a disk that is all but full a write takes a part, and Node does not ask how much. */
function writeWhole(content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  for (let at = 0; at < bytes.length; ) at += writeSync(process.stdout.fd, bytes, at)
}

function isFile(): boolean {
  return fstatSync(process.stdout.fd).isFile()
}

function fail(error: NodeJS.ErrnoException): void {
  if (failure) return
  failure = error
  onFailure()
}
