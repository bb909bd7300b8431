import { describe, expect, it } from 'vitest'
import { buildProgram, compiler, runProgram } from './program.js'

const programs: [string, string, string[]][] = [
  [
    'sampler_test',
    'takes a token of its row or refuses, whatever the logits',
    ['decode/sampler.cc', 'backend.cc', 'kv/kv_layer.cc', 'kv/position_index.cc'],
  ],
  [
    'bus_guard_test',
    'reads what a file lost as zeros and says so, on any number of threads',
    ['weights/mapped_file.cc', 'weights/bus_guard.cc'],
  ],
]
const skipped = compiler ? '' : ' (skipped: no C++ compiler is here)'

describe.skipIf(!compiler)(`native code under sanitizers, where the compiler has them${skipped}`, () => {
  it.each(programs)('%s: %s', (name, _, sources) => {
    expect(runProgram(buildProgram(name, sources))).toEqual({
      code: 0,
      out: expect.stringMatching(/^[1-9]\d* checked, 0 failed\n$/),
      err: '',
    })
  })
})
