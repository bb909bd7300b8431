/**
 * Caches of contexts as files: those that a server was started with, and a folder in which it keeps what leaves memory.
 * A file of the folder is named by all that its content follows from (model, arithmetic, eviction, context), so that
 * servers with other settings can share the folder and none finds what it would not have computed itself.
 */

import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError, isUserError } from '../errors.js'
import { sweepTemporaries } from '../files/temporary.js'
import { checkWritable } from '../files/write.js'
import type { KvCache } from '../inference/kv-cache.js'
import { evictHeads } from '../inference/levels.js'
import type { Model } from '../inference/model.js'
import type { Eviction } from './contexts.js'

export interface CacheFilesOptions {
  eviction?: Eviction | undefined
  /** Folder for what leaves memory; made when it is not there. */
  cacheDir?: string | undefined
  /** Most bytes of caches in that folder, those being written included: files not used for longest go first. */
  cacheDirBytes: number
  /** Told what could not be read or written; the server goes on without. */
  onNote: (note: string) => void
}

export class CacheFiles {
  /** Path of each context that was given as a file. */
  private readonly given = new Map<string, string>()
  /** Files of the folder that turned out to be useless: the next to be written replace them. */
  private readonly useless = new Set<string>()
  private readonly maker: string

  private constructor(
    private readonly model: Model,
    private readonly options: CacheFilesOptions,
  ) {
    const { hash, arithmetic } = model.identity
    this.maker = JSON.stringify([hash, arithmetic, evictionMark(options.eviction)])
  }

  /** @throws InputError when the folder cannot be made or written */
  static async open(model: Model, options: CacheFilesOptions): Promise<CacheFiles> {
    const files = new CacheFiles(model, options)
    const { cacheDir } = options
    if (cacheDir === undefined) return files
    // Contexts may be private: what is made here is for this user alone.
    await mkdir(cacheDir, { recursive: true, mode: 0o700 }).catch((error: Error) => {
      throw new InputError(`${cacheDir} cannot be used for caches: ${error.message}`, { cause: error })
    })
    await checkWritable(join(cacheDir, `${'0'.repeat(64)}.kv`), { force: true })
    await sweepTemporaries(cacheDir)
    await files.trim()
    return files
  }

  /** Reads a file that the server is started with. @throws InputError when it cannot answer requests */
  async give(path: string): Promise<KvCache> {
    const kv = await this.model.restore(path)
    const { prefix, context, position } = kv.info
    const other = this.given.get(kv.contextHash)
    const said = position - prefix - context
    const unevicted = this.options.eviction !== undefined && kv.pruned === undefined
    if (other === undefined && said === 0 && !unevicted) {
      this.given.set(kv.contextHash, path)
      return kv
    }
    kv.close()
    if (other !== undefined) throw new InputError(`${path} and ${other} hold the same context`)
    if (unevicted)
      throw new InputError(`${path} holds a full cache, but this server evicts: save it with eviction, too`)
    throw new InputError(`${path} holds a conversation: ${said} tokens were said after its context`)
  }

  has(contextHash: string): boolean {
    return this.given.has(contextHash)
  }

  /** @returns undefined when no file holds this context, or none that can be used */
  async find(contextHash: string, signal: AbortSignal): Promise<KvCache | undefined> {
    const path = this.given.get(contextHash) ?? this.pathOf(contextHash)
    if (path === undefined || !(await exists(path))) return undefined
    try {
      const kv = await this.model.restore(path, { signal })
      if (kv.contextHash !== contextHash) {
        kv.close()
        throw new InputError(`${path} holds another context than before`)
      }
      // The folder's oldest are those that nobody has asked for.
      if (!this.given.has(contextHash)) await utimes(path, new Date(), new Date()).catch(() => {})
      return kv
    } catch (error) {
      if (!isUserError(error) || error.code === 'HEADZIP_ABORTED') throw error
      this.useless.add(path)
      this.given.delete(contextHash)
      this.options.onNote(`${error.message}; the context is read anew`)
      return undefined
    }
  }

  /** Writes what leaves memory, unless a file holds it already, or the folder never would. */
  async keep(kv: KvCache): Promise<void> {
    const path = this.pathOf(kv.contextHash)
    if (path === undefined || this.given.has(kv.contextHash)) return
    if (kv.bytes > this.options.cacheDirBytes) return
    if ((await exists(path)) && !this.useless.has(path)) return
    try {
      await this.trim(kv.bytes)
      await kv.save(path, { force: true })
      this.useless.delete(path)
      await this.trim()
    } catch (error) {
      this.options.onNote(`a context is not kept on disk: ${(error as Error).message}`)
    }
  }

  private pathOf(contextHash: string): string | undefined {
    const { cacheDir } = this.options
    if (cacheDir === undefined) return undefined
    const name = createHash('sha256').update(this.maker).update(contextHash).digest('hex')
    return join(cacheDir, `${name}.kv`)
  }

  /**
   * Files that are not named as ours are nobody's business here. Temporary ones count, whoever left them, but only their
   * owners and those who find them gone remove them.
   * @param more bytes that are about to be written, which count already
   */
  private async trim(more = 0): Promise<void> {
    const { cacheDir = '', cacheDirBytes } = this.options
    const there = await readdir(cacheDir).catch((error: Error) => {
      throw new InputError(`${cacheDir} cannot be used for caches: ${error.message}`, { cause: error })
    })
    const names = there.filter((name) => /^\.?[0-9a-f]{64}\.kv(\..+\.tmp)?$/.test(name))
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(cacheDir, name)
        const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 }))
        return { path, size, mtimeMs }
      }),
    )
    found.sort((a, b) => a.mtimeMs - b.mtimeMs)
    let bytes = found.reduce((sum, { size }) => sum + size, more)
    for (const { path, size } of found) {
      if (bytes <= cacheDirBytes) break
      if (path.endsWith('.tmp')) continue
      await rm(path, { force: true })
      bytes -= size
    }
  }
}

/** Which heads are kept, whatever file of scores said so; of pairs, how they are chosen. */
function evictionMark(eviction: Eviction = {}): unknown[] {
  const { level = 'head', ratio, rule = 'exact', sweep = 'full', scores, sink, recent } = eviction
  if (ratio === undefined) return []
  if (typeof scores !== 'object' || scores instanceof URL) return [level, ratio, rule, sweep]
  const { keep } = evictHeads(scores, { level, ratio, rule })
  return [level, Array.from(keep), ...(level === 'streaming' ? [sink ?? null, recent ?? null] : [])]
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
