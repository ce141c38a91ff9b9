"""Who answers: endpoints, scripted models, the embedded small model, presets and the response cache."""
