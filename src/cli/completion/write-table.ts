/** Run by the build, once everything is compiled: `node dist/cli/completion/write-table.js`. */

import { writeFileSync } from 'node:fs'
import { makeTable } from './make-table.js'
import { tableFile } from './table.js'

writeFileSync(tableFile, JSON.stringify(makeTable()))
