/** Brings a checkout to where its commands run. */
import { nativeEngine, packages, runSteps, typeScript } from './steps.mjs'

await runSteps([packages, nativeEngine, typeScript])
