# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sentences in six groups of related meaning, four each."""

SENTENCES = [
    "A cat is sleeping on the sofa.",
    "The kitten naps on the couch.",
    "My dog barks at the mail carrier every morning.",
    "Puppies need a lot of exercise and attention.",
    "The central bank raised interest rates by a quarter point.",
    "Borrowing money has become more expensive this year.",
    "Shares of the car maker fell sharply after the report.",
    "Investors sold their stock when earnings disappointed.",
    "She boiled the pasta and stirred in the tomato sauce.",
    "Cook the spaghetti for nine minutes, then add basil.",
    "The bakery on the corner sells fresh bread at dawn.",
    "He kneaded the dough and let it rise overnight.",
    "The telescope recorded light from a distant galaxy.",
    "Astronomers observed a star exploding far away.",
    "The rocket reached orbit ten minutes after launch.",
    "Engineers are preparing the spacecraft for lift-off.",
    "The striker scored twice in the final.",
    "Their goalkeeper saved a penalty in extra time.",
    "She won the marathon in record time.",
    "The runner broke the course record by a minute.",
    "A compiler translates source code into machine instructions.",
    "The program was optimised and turned into assembly.",
    "Matrix products dominate the cost of neural networks.",
    "Training large models takes thousands of accelerators.",
]
