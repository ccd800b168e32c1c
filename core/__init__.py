"""The code that the book's chapters run; `import core` loads no framework.

The modules in reading order: each imports only from those above it.  `*` is
`pt` (PyTorch) and `tf` (TensorFlow), which have the same names.

load_order                  PyTorch's CUDA build before TensorFlow
quiet                       the environment of a chapter; import it first
checks                      checks of arguments, and what records share
types                       records: sampled texts, pairs of texts
sampling                    what both samplers check and draw
weights                     first weights, and the file they are kept in
downloads                   directories of published models
words                       texts cut into words, and joined
text                        tokenizers
tasks                       texts of the documents' environments
rewards.texts               rewards on texts, as TRL takes them
rewards.tokens              rewards on token ids; potentials
rewards                     both under one name
batched                     a task for training: prompts and a reward
envs                        the documents' environments, one text at a time
returns                     returns, GAE, comparisons within a group
advantages                  what a token is worth: a record for each kind
algorithms                  an algorithm as four records; the papers' table
settings                    settings of trainings, sizes of models
mdp                         text generation as a tree, enumerated
exact                       every quantity by enumeration: the oracle
architectures               what config.json and the weights' names say
hub                         directories in Hugging Face's layout
policies                    what every policy offers
adapters                    LoRA: what is adapted, its files, the policy without it
pretraining                 batches for supervised training
buffer                      the experience buffer
report                      what a run is doing: numbers, and signs of faults
documents                   the documents' programs, what both frameworks share
trainers.loop               take steps, show them, save, resume
trainers.policy_gradient    sample, compare, choose the rows of an update
trainers.parallel           what processes share that train one policy
trainers.supervised         training on given targets
trainers.dqn                Q-learning with a network
trainers.preferences        reward models and DPO
*.logprobs                  log-probabilities, entropy, KL
*.layers                    parts of a transformer, the LSTM
*.attention                 attention over a prompt and what follows it
*.checkpoints               weights and moments as arrays
*.adapters                  LoRA on a policy
*.models.recurrent          LSTM policies, a learned baseline
*.models.transformer        what GPT and the decoder share
*.models.gpt                GPT-2 with a value head
*.models.decoder            Llama, Qwen2, Qwen3 with a value head
*.models.bert               BERT with one of three heads
*.models                    all of these under one name
*.losses                    losses as pure functions
*.objective                 an algorithm's records as terms of a loss
*.preferences               losses of pairs
*.rewards                   rewards that need a model
*.pretrained                models from and to directories
*.rollout                   the sampler
*.trainers                  gradients of the trainers
*.parallel                  one training on several processes
*.dqn                       the same of Q-learning
*.preference_trainers       the same of reward models and DPO
*.listings                  the documents' programs, a module for each
"""

__version__ = "0.1.0"
