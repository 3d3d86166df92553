// The providers of the push benchmark, in a process of their own: says how it is reached, and in the end what it took.
import { FaultyProviders } from './faulty-providers.ts'

const providers = await FaultyProviders.open(Number(process.argv[2]), 'bench')
process.send!(providers.config)
process.once('message', () => {
  process.send!(providers.tally(), async () => {
    await providers.close()
    process.exit()
  })
})
