/** A download on its way: bytes on disk under `<digest>.incomplete`, and the checksum of what is there. */

import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { unwritable } from './cache.js'
import type { HubFile } from './listing.js'

export class PartialFile {
  private hash: Hash
  /** On disk. */
  bytes = 0
  /** Some of them were there before this download began. */
  resumed = false

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly file: HubFile,
  ) {
    this.hash = newHash(file)
  }

  /** Opens what an earlier download left, or a new file. @param path of the blob to be */
  static async open(path: string, file: HubFile): Promise<PartialFile> {
    const incomplete = `${path}.incomplete`
    const handle = await open(incomplete, 'a+', 0o644).catch((error: unknown) => {
      throw unwritable(incomplete, error)
    })
    const partial = new PartialFile(path, handle, file)
    try {
      const { size } = await handle.stat()
      if (size > file.size) await partial.restart()
      else if (size > 0) await partial.takeOver(incomplete, size)
    } catch (error) {
      await handle.close()
      throw error
    }
    return partial
  }

  private async takeOver(incomplete: string, size: number): Promise<void> {
    for await (const chunk of createReadStream(incomplete, { end: size - 1, highWaterMark: 1 << 20 })) {
      this.hash.update(chunk as Buffer)
      this.bytes += (chunk as Buffer).length
    }
    this.resumed = true
  }

  async append(chunk: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < chunk.length; ) at += (await this.handle.write(chunk, at)).bytesWritten
    } catch (error) {
      throw unwritable(`${this.path}.incomplete`, error)
    }
    this.hash.update(chunk)
    this.bytes += chunk.length
  }

  async restart(): Promise<void> {
    await this.handle.truncate(0)
    this.hash = newHash(this.file)
    this.bytes = 0
    this.resumed = false
  }

  get complete(): boolean {
    return this.bytes === this.file.size
  }

  /** Gives the file its real name when the checksum is right; false, and the file stays as it is, when it is wrong. */
  async finish(): Promise<boolean> {
    if (this.hash.copy().digest('hex') !== this.file.digest) return false
    try {
      // Not synced, as Python does not: after a crash of the machine a blob may be short, and every use checks its size.
      await rename(`${this.path}.incomplete`, this.path)
    } catch (error) {
      throw unwritable(this.path, error)
    }
    return true
  }

  async discard(): Promise<void> {
    await rm(`${this.path}.incomplete`, { force: true })
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

/** LFS: sha256 of the content. Others: git's name of a blob, sha1 over a header and the content. */
function newHash({ digest, size }: HubFile): Hash {
  return digest.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`)
}
