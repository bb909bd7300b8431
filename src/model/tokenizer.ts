import { check, checkOptions } from '../check.js'
import type { Turns } from './chat-template.js'
import { checkLimits, type TokenizerLimits } from './tokenizer/limits.js'
import type { NewTexts, TextSoFar } from './tokenizer/new-text.js'
import { TokenizerProcess } from './tokenizer/process.js'
import { fileOf, type TokenizerSource } from './tokenizer/protocol.js'

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text by itself (default: nothing). */
  special?: boolean | undefined
  signal?: AbortSignal | undefined
}

export interface DecodeOptions {
  /** Keep special tokens in the text (default: drop them). */
  special?: boolean | undefined
  signal?: AbortSignal | undefined
}

const fields = { special: 'flag?', signal: 'signal?' } as const

/** Ends the process of a tokenizer that nobody has closed; calls may still wait for it. */
const forgotten = new FinalizationRegistry<TokenizerProcess>((process) => process.close())

/**
 * Text to ids and back, in a process of its own, which starts with the first call: no text holds up the caller, and
 * nothing that comes with a model can hang it. Many calls may be made at once; short ones do not wait for long ones.
 * All reject with an InputError when the files are missing or unusable or a limit is reached, in one sentence, and with
 * an Error of code HEADZIP_ABORTED when their signal falls.
 */
export class Tokenizer {
  /** For messages. */
  readonly file: string
  private readonly process: TokenizerProcess

  /** @throws RangeError or InputError for a limit that is no positive number */
  constructor(source: TokenizerSource, limits: TokenizerLimits = {}) {
    this.file = fileOf(source)
    this.process = new TokenizerProcess(source, checkLimits(limits))
    forgotten.register(this, this.process)
  }

  /** Special tokens written out in the text become their ids. */
  async encode(text: string, options: EncodeOptions = {}): Promise<Int32Array> {
    check(text, 'text', 'string')
    checkOptions(options, fields)
    const { special = false, signal } = options
    return this.process.call('encode', { text, special }, signal)
  }

  async decode(ids: ArrayLike<number>, options: DecodeOptions = {}): Promise<string> {
    check(ids, 'ids', 'numbers')
    checkOptions(options, fields)
    const { special = false, signal } = options
    return this.process.call('decode', { ids: Int32Array.from(ids), special }, signal)
  }

  /** @internal text of tokens that come one after another */
  newText(before: TextSoFar, ids: number[], last: boolean): Promise<NewTexts> {
    return this.process.call('newText', { before, ids, last })
  }

  /** Id of an added token such as `<|im_end|>`. */
  async specialId(token: string): Promise<number | undefined> {
    return (await this.specialIds([token]))[0]
  }

  /** One a token. */
  specialIds(tokens: string[]): Promise<(number | undefined)[]> {
    return this.process.call('specialIds', { tokens })
  }

  /** What the model's own chat template puts around a user's texts; undefined when there is none. */
  turns(): Promise<Turns | undefined> {
    return this.process.call('turns', null)
  }

  /** Ends the process once all calls have been answered. A later call starts it for its own time. */
  close(): void {
    this.process.close()
  }
}
