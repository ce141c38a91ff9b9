"""Arena-Hard v2: a judge says which of two answers is better, the model's or a baseline's."""
