/** Builds the engine that the npm package carries. `npm run prebuild`; `npm pack` does it, too. */
import { packages, prebuiltEngine, runSteps } from './steps.mjs'

await runSteps([packages, prebuiltEngine])
