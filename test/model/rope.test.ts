import { describe, expect, it } from 'vitest'
import { Config } from '../../src/model/config.js'
import { readRope } from '../../src/model/rope.js'
import { inverseFrequencies, scaleLlama3 } from '../../src/model/rope-scaling.js'

const lengths = { ropeTheta: 10000, maxPositions: 4096 }

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
    readRope(new Config('c', { ...fields }), 16, lengths).rope.invFreq

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

describe('scaled ropes', () => {
  const plan = (headDim: number, fields: object) => readRope(new Config('c', { ...fields }), headDim, lengths)

  it('divide all frequencies alike when linear', () => {
    const { rope, maxPositions, long } = plan(16, { rope_scaling: { type: 'linear', factor: 3 } })
    expect([...rope.invFreq]).toEqual([
      0.3333333432674408, 0.10540925711393356, 0.03333333507180214, 0.010540925897657871,
      0.003333333181217313, 0.0010540926596149802, 0.0003333333588670939, 0.0001054092645063065,
    ])
    expect([rope.scale, maxPositions, long]).toEqual([1, 4096, undefined])
  })

  it('blend by wavelength and sharpen attention under yarn, and reach that much further', () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768 }
    const { rope, maxPositions } = plan(32, {
      rope_theta: 1e6,
      max_position_embeddings: 40960,
      rope_scaling: yarn,
    })
    expect(maxPositions).toBe(131072)
    expect(rope.scale).toBe(1.138629436111989)
    expect(at(rope.invFreq, [0, 5, 6, 7, 8, 9, 10, 15])).toEqual([
      1, 0.01333521492779255, 0.00477990135550499, 0.001659961650148034, 0.0005499999970197678,
      0.00016867858357727528, 4.4456985051510856e-5, 5.928434347879374e-7,
    ])
  })

  it('take the other numbers of yarn from the config', () => {
    const yarn = { rope_type: 'yarn', factor: 8, beta_fast: 16, beta_slow: 2, truncate: false }
    const { rope } = plan(16, {
      max_position_embeddings: 512,
      rope_scaling: { ...yarn, mscale: 1, mscale_all_dim: 0.5 },
    })
    expect(rope.scale).toBe(1.094179988101349)
    expect([...rope.invFreq]).toEqual([
      1, 0.3162277638912201, 0.07160846143960953, 0.007324998266994953, 0.0012499999720603228,
      0.00039528473280370235, 0.0001250000059371814, 3.9528473280370235e-5,
    ])
  })

  it('stay plain within the trained length when dynamic, and follow longer contexts', () => {
    const { rope, maxPositions, long } = plan(16, {
      max_position_embeddings: 256,
      rope_scaling: { rope_type: 'dynamic', factor: 2 },
    })
    expect(rope.invFreq).toEqual(inverseFrequencies(10000, 16))
    expect(maxPositions).toBe(256)
    expect(long).toMatchObject({ above: 256, maxPositions: 512, note: 'dynamic 2 over 256' })
    const expected = [
      1, 0.25533849000930786, 0.06519774347543716, 0.016647491604089737, 0.004250745289027691,
      0.0010853788116946816, 0.000277139013633132, 7.076425390550867e-5,
    ]
    // transformers' own power of theta may be off by a unit in the last place
    for (const [i, freq] of long!.rope(700).invFreq.entries()) expect(freq / expected[i]!).toBeCloseTo(1, 6)
  })

  it('switch from short to long factors past the original length under longrope', () => {
    const factors = { short_factor: [1, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor: [1, 2.5, 4, 6, 8, 9.5] }
    const { rope, maxPositions, long } = plan(12, {
      max_position_embeddings: 1024,
      original_max_position_embeddings: 128,
      rope_scaling: { type: 'longrope', ...factors },
    })
    expect([maxPositions, rope.scale]).toEqual([128, 1.1952286093343936])
    expect([...rope.invFreq]).toEqual([
      1, 0.1958576887845993, 0.038679901510477066, 0.007692307699471712, 0.001538881566375494,
      0.00030943931778892875,
    ])
    expect(long).toMatchObject({ above: 128, maxPositions: 1024, note: 'longrope over 128' })
    expect(long!.rope(129)).toEqual({
      invFreq: Float32Array.of(
        1,
        0.08617737889289856,
        0.011603971011936665,
        0.0016666667070239782,
        0.0002693042915780097,
        4.885883754468523e-5,
      ),
      scale: 1.1952286093343936,
    })
  })

  it('turn a part of the head where the config says so', () => {
    expect(plan(32, { partial_rotary_factor: 0.75 }).rope.invFreq).toEqual(inverseFrequencies(10000, 24))
  })
})
