/** How config.json says that a checkpoint's weights were quantised. Of the many ways, FP8 with scales is read. */

import type { Config } from './config.js'

export interface Quantization {
  /** Blocks of [rows, columns] that may share a scale, besides whole rows and whole tensors. */
  blocks: readonly (readonly [rows: number, columns: number])[]
}

const methods = ['fp8', 'compressed-tensors', 'fbgemm_fp8', 'modelopt'] as const

/**
 * What activations would be quantised to is left aside: ours stay wide.
 * @returns no blocks where the config says nothing
 * @throws InputError naming the method, or the field, that is not supported
 */
export function readQuantization(config: Config): Quantization {
  const section = config.section('quantization_config')
  if (!section) return { blocks: [] }
  // Checkpoints of bitsandbytes' first releases name no method.
  if (!section.has('quant_method')) throw section.mustBe('quant_method', `one of ${methods.join(', ')}`)
  const method = section.oneOf('quant_method', methods)
  if (method === 'compressed-tensors') return { blocks: groupBlocks(section) }
  if (method === 'modelopt') section.oneOf('quant_algo', ['FP8', 'FP8_PER_CHANNEL_PER_TOKEN'])
  if (method !== 'fp8') return { blocks: [] }
  section.oneOf('fmt', ['e4m3'])
  return { blocks: section.has('weight_block_size') ? [readBlock(section, 'weight_block_size')] : [] }
}

/** compressed-tensors: groups of modules, each quantised in its own way. */
function groupBlocks(section: Config): Quantization['blocks'] {
  const groups = section.section('config_groups')
  if (!groups) throw section.mustBe('config_groups', 'an object of groups')
  return Object.keys(groups.fields).flatMap((name) => {
    const weights = groups.section(name)?.section('weights')
    if (!weights) return []
    weights.oneOf('type', ['float'])
    weights.oneOf('num_bits', [8])
    const strategy = weights.oneOf('strategy', ['tensor', 'channel', 'block', 'group'])
    if (strategy === 'block') return [readBlock(weights, 'block_structure')]
    return strategy === 'group' ? [[1, weights.positiveInteger('group_size')] as const] : []
  })
}

function readBlock(config: Config, name: string): readonly [number, number] {
  const value: unknown = config.fields[name]
  if (Array.isArray(value) && value.length === 2) {
    const [rows, columns] = value as unknown[]
    if (isBlockSize(rows) && isBlockSize(columns)) return [rows, columns]
  }
  throw config.mustBe(name, 'two positive integers')
}

function isBlockSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31
}
