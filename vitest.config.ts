import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    globalSetup: 'test/temporary.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The expected values are the CPU's; test/device asks for a GPU by name.
    env: { HEADZIP_DEVICE: 'cpu' },
  },
})
