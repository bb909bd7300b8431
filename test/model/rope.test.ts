import { describe, expect, it } from 'vitest'
import { Config } from '../../src/model/config.js'
import { readRope } from '../../src/model/rope.js'
import { inverseFrequencies, scaleLlama3 } from '../../src/model/rope-scaling.js'

// Expected values: ROPE_INIT_FUNCTIONS of transformers 4.57.6 on PyTorch 2.13, CPU; fp32 printed in full.
const at = (values: Float32Array, indices: number[]): number[] => indices.map((i) => values[i]!)

describe('inverse frequencies', () => {
  it('equal those of transformers bit for bit', () => {
    expect([...inverseFrequencies(10000, 16)]).toEqual([
      1.0, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.009999999776482582,
      0.003162277862429619, 0.0010000000474974513, 0.0003162277862429619,
    ])
    expect(at(inverseFrequencies(100000, 64), [1, 15, 20, 27, 28, 30, 31])).toEqual([
      0.6978305578231812, 0.004531583748757839, 0.0007498941849917173, 6.042963650543243e-5,
      4.216965317027643e-5, 2.0535249859676696e-5, 1.4330126759887207e-5,
    ])
  })

  it('equal them with llama3 scaling, in the blended band too', () => {
    const scaling = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 }
    const long = scaleLlama3(inverseFrequencies(500000, 128), scaling)
    expect(at(long, [1, 15, 20, 27, 28, 30, 31, 40, 50, 63])).toEqual([
      0.8146172165870667, 0.046164050698280334, 0.016560440883040428, 0.003942275885492563,
      0.0032114461064338684, 0.0013718936825171113, 0.0008567514596506953, 3.428102354519069e-5,
      4.411534519022098e-6, 3.068925877869333e-7,
    ])
    expect([
      ...scaleLlama3(inverseFrequencies(500000, 16), { ...scaling, originalMaxPositions: 256 }),
    ]).toEqual([
      1.0, 0.193922758102417, 0.010538230650126934, 0.0009115831344388425, 0.00017677668074611574,
      3.428102354519069e-5, 6.647869668086059e-6, 1.289173155782919e-6,
    ])
  })
})

describe('the rope of a config', () => {
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 256 }
  const rope = (fields: object): Float32Array =>
    readRope(new Config('c', { ...fields }), 16, { ropeTheta: 10000, maxPositions: 4096 }).rope.invFreq

  it('is the same in the three spellings of its fields', () => {
    const now = rope({ rope_theta: 500000, rope_scaling: { rope_type: 'llama3', ...llama3 } })
    const old = rope({ rope_theta: 500000, rope_scaling: { type: 'llama3', ...llama3 } })
    const next = rope({ rope_parameters: { rope_type: 'llama3', rope_theta: 500000, ...llama3 } })
    expect(old).toEqual(now)
    expect(next).toEqual(now)
    expect(now[2]).toBe(0.010538230650126934)
  })

  it('falls back on the theta of the architecture', () => {
    expect(rope({ rope_scaling: null })).toEqual(inverseFrequencies(10000, 16))
    expect(rope({ rope_theta: 500000, rope_scaling: { type: 'default' } })).toEqual(
      inverseFrequencies(500000, 16),
    )
  })
})
