/** Short names of models: those of KVzip's model list, and the FP8 releases of its Qwen3 models. */

import { check } from '../check.js'
import { InputError } from '../errors.js'

export interface ShortName {
  name: string
  /** `org/name` on the hub */
  repo: string
  /** Class that its config.json names. */
  architecture: string
  /** Whose name it is: in KVzip's list, in its list of May 2025, or headzip's own. */
  from: 'KVzip' | 'KVzip, May 2025' | 'headzip'
}

const llama = 'LlamaForCausalLM'
const qwen2 = 'Qwen2ForCausalLM'
const qwen3 = 'Qwen3ForCausalLM'
const gemma3 = 'Gemma3ForCausalLM'
const gemma3Multimodal = 'Gemma3ForConditionalGeneration'

const rows: readonly [name: string, repo: string, architecture: string, from?: ShortName['from']][] = [
  ['llama3.0-8b', 'meta-llama/Meta-Llama-3-8B-Instruct', llama],
  ['llama3.1-8b', 'meta-llama/Llama-3.1-8B-Instruct', llama],
  ['llama3.2-1b', 'meta-llama/Llama-3.2-1B-Instruct', llama],
  ['llama3.2-3b', 'meta-llama/Llama-3.2-3B-Instruct', llama],
  ['duo', 'gradientai/Llama-3-8B-Instruct-Gradient-1048k', llama],
  ['qwen2.5-7b', 'Qwen/Qwen2.5-7B-Instruct-1M', qwen2],
  ['qwen2.5-14b', 'Qwen/Qwen2.5-14B-Instruct-1M', qwen2],
  ['qwen3-0.6b', 'Qwen/Qwen3-0.6B', qwen3],
  ['qwen3-1.7b', 'Qwen/Qwen3-1.7B', qwen3],
  ['qwen3-4b', 'Qwen/Qwen3-4B', qwen3],
  ['qwen3-8b', 'Qwen/Qwen3-8B', qwen3],
  ['qwen3-14b', 'Qwen/Qwen3-14B', qwen3],
  ['qwen3-32b', 'Qwen/Qwen3-32B', qwen3],
  ['gemma3-1b', 'google/gemma-3-1b-it', gemma3],
  ['gemma3-4b', 'google/gemma-3-4b-it', gemma3Multimodal],
  ['gemma3-12b', 'google/gemma-3-12b-it', gemma3Multimodal],
  ['gemma3-27b', 'google/gemma-3-27b-it', gemma3Multimodal],
  ['llama3-1b', 'meta-llama/Llama-3.2-1B-Instruct', llama, 'KVzip, May 2025'],
  ['llama3-3b', 'meta-llama/Llama-3.2-3B-Instruct', llama, 'KVzip, May 2025'],
  // In that list "llama3" was Llama 3.1, and Llama 3.0 was llama30-8b.
  ['llama3-8b', 'meta-llama/Llama-3.1-8B-Instruct', llama, 'KVzip, May 2025'],
  ['llama30-8b', 'meta-llama/Meta-Llama-3-8B-Instruct', llama, 'KVzip, May 2025'],
  ['qwen3-0.6b-fp8', 'Qwen/Qwen3-0.6B-FP8', qwen3, 'headzip'],
  ['qwen3-1.7b-fp8', 'Qwen/Qwen3-1.7B-FP8', qwen3, 'headzip'],
  ['qwen3-4b-fp8', 'Qwen/Qwen3-4B-FP8', qwen3, 'headzip'],
  ['qwen3-8b-fp8', 'Qwen/Qwen3-8B-FP8', qwen3, 'headzip'],
  ['qwen3-14b-fp8', 'Qwen/Qwen3-14B-FP8', qwen3, 'headzip'],
  ['qwen3-32b-fp8', 'Qwen/Qwen3-32B-FP8', qwen3, 'headzip'],
]

export const shortNames: readonly ShortName[] = rows.map(([name, repo, architecture, from = 'KVzip']) => ({
  name,
  repo,
  architecture,
  from,
}))

/** The repository behind a short name. @throws InputError for the one model of KVzip's list that headzip cannot read */
export function resolveShortName(name: string): string | undefined {
  check(name, 'name', 'string')
  if (name === 'llama3-8b-4m-w8a8kv4') {
    throw new InputError(`${name} is stored in QServe's W8A8KV4 layout, which headzip does not read`)
  }
  return shortNames.find((known) => known.name === name)?.repo
}
