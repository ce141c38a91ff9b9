raise ImportError("the package is imported without its __init__")
