import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    globalSetup: 'test/temporary.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The expected values are the CPU's; test/device asks for a GPU by name. Lines of progress on a slow day are no
    // part of what a command says; tests of progress ask for it.
    env: { HEADZIP_DEVICE: 'cpu', HEADZIP_PROGRESS: 'none' },
    // `npm run coverage`. Commands that tests run as processes of their own use dist/, and are not counted.
    coverage: {
      include: ['src/**'],
      reporter: ['text-summary', 'html'],
      reportsDirectory: 'build/coverage',
      reportOnFailure: true,
    },
  },
})
