import { join } from 'node:path'
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { InputError } from '../errors.js'
import { readJson } from './json-file.js'

/** Text to ids and back, synchronous. */
export class Tokenizer {
  private readonly specialIds = new Map<string, number>()

  private constructor(
    readonly file: string,
    private readonly tokenizer: HubTokenizer,
  ) {
    for (const [id, { content }] of tokenizer.get_added_tokens_decoder()) this.specialIds.set(content, id)
  }

  /** @throws InputError when tokenizer.json or tokenizer_config.json is missing or unusable */
  static load(folder: string): Tokenizer {
    const file = join(folder, 'tokenizer.json')
    const { fields } = readJson(file)
    const { fields: config } = readJson(join(folder, 'tokenizer_config.json'))
    try {
      return new Tokenizer(file, new HubTokenizer(fields, config))
    } catch (error) {
      throw new InputError(`${file} is not a tokenizer that headzip can use: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  /** Adds nothing at either end; special tokens written out in the text become their ids. */
  encode(text: string): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: false }).ids
  }

  /** @param options.special keep special tokens in the text (default: drop them) */
  decode(ids: ArrayLike<number>, options: { special?: boolean } = {}): string {
    // The library throws on an empty list.
    if (ids.length === 0) return ''
    return this.tokenizer.decode(Array.from(ids), {
      skip_special_tokens: options.special !== true,
      clean_up_tokenization_spaces: false,
    })
  }

  /** Id of an added token such as `<|im_end|>`. */
  specialId(token: string): number | undefined {
    return this.specialIds.get(token)
  }
}
