import { defineConfig } from 'vitest/config'

/** Installs packages from the npm registry, so it is no part of `npm test`: `npm run test:consumer`. */
export default defineConfig({
  test: {
    include: ['test/consumer/**/*.consumer.ts'],
    pool: 'forks',
    globalSetup: 'test/temporary.ts',
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Removing the installed packages takes a while.
    teardownTimeout: 60_000,
  },
})
