"""The companion package of the course *Autoencoders and Adversaries*.

Import what you need from its modules, for example `from companion.vae import VAE`.
Importing the package changes no global state.
"""

__version__ = "0.1.0"
